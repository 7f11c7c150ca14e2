//! The `supercheck` binary.

fn main() {}
