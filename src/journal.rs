//! The session's durable memory: events chained by hash, samples and progress beside them.
