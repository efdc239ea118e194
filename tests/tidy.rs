//! Stub.
#[test] fn t(){}
