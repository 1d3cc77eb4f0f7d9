SELECT count(*), count(*) FILTER (WHERE enabled), sum(prefix_count) FROM session
