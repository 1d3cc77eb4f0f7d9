//! Probes that make samples. Judging them is `trigger`'s job.
