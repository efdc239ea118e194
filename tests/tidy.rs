//! Stub.
#[test]
fn t() {}
