SELECT id, n, most FROM stock
