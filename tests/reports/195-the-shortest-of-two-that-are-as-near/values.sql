SELECT string_agg(concat_ws(' ', d, x, f, g), ' / ' ORDER BY id) FROM t;
