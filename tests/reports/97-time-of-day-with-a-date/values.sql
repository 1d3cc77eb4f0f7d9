SELECT id, starts, ends FROM shift ORDER BY id
