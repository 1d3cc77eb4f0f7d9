SELECT id FROM item ORDER BY name
