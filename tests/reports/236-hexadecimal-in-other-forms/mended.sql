SELECT id || ' ' || quote("big") || ' ' || quote("ended") || ' ' || quote("pairs") || ' ' || quote("quoted") || ' ' || quote("stray") || ' ' || quote("uuid") FROM m ORDER BY id
