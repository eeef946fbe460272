//! The one canonical request.
