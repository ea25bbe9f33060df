//! Policy that one can write, test and read.

mod check;
mod limits;
mod paths;
