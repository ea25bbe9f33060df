//! Policy that one can write, test and read.

mod limits;
mod paths;
