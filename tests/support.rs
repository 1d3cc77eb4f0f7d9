//! What several concerns share: databases, sandboxes, waiting for content with a deadline.
