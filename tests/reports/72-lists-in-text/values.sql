SELECT id, genres, years FROM series ORDER BY id
