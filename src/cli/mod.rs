//! The commands, one file each. Each answers with an exit code: 0 fine, 1 failed, 2 the configuration is wrong,
//! 64 wrong usage.

pub mod check;
pub mod init;
pub mod routes;
pub mod schema;
