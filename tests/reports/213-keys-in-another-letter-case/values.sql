SELECT placed_at AT TIME ZONE 'UTC', paid_at AT TIME ZONE 'UTC' FROM orders; SELECT s FROM kv; SELECT id FROM fresh
