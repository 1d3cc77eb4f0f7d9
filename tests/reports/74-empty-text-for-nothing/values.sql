SELECT id, age, born, seen FROM contact ORDER BY id
