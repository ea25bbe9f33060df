//! Every stable reason code.
