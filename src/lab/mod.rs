//! The lab.

pub mod authority;
