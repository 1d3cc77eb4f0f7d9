//! The evidence of a session, as Markdown and JSON.
