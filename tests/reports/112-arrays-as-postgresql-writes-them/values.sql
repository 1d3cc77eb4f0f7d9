SELECT id, tags, ids, words, flags FROM post ORDER BY id
