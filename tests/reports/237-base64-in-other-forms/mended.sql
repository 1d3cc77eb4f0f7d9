SELECT id || ' ' || quote("wrapped") || ' ' || quote("bare") || ' ' || quote("url") || ' ' || quote("link") || ' ' || quote("stray") || ' ' || quote("number") FROM m ORDER BY id
