CREATE TABLE doc (id INTEGER PRIMARY KEY, body TEXT, list TEXT);
INSERT INTO doc VALUES (1, '{"a":-0}', '[1.5,-0]'), (2, '{"a":' || replace(hex(zeroblob(65536)), '0', '7') || '}', '[]'),
  (3, '{"a":' || replace(hex(zeroblob(65536)), '0', '7') || '7}', '[]'), (4, '{"a":1e131071}', '[]'), (5, '{"a":1e131072}', '[]'),
  (6, '{"a":0.' || replace(hex(zeroblob(8000)), '0', '1') || 'e-384}', '[]'), (7, '{"a":1e-16383}', '[]'),
  (8, '{"a":' || replace(hex(zeroblob(50000)), '0', '1') || 'e40000}', '[]');
