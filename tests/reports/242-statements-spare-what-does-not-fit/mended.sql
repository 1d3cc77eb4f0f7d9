SELECT id || ' ' || quote(list) || ' ' || quote(place) || ' ' || quote(at) FROM m ORDER BY id
