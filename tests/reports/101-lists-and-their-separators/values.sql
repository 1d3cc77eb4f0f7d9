SELECT id, tags, paths, marks FROM post ORDER BY id
