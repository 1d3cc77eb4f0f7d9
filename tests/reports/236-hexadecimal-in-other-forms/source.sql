CREATE TABLE m (id INTEGER PRIMARY KEY, big, ended, pairs, quoted, stray, uuid);
INSERT INTO m VALUES (1, '0XDEADBEEFDEADBEEFDEADBEEFDEADBEEF', 'deadbeef'||char(10)||'', 'aa:bb:cc:dd', 'X''00FF''', 'abc', '6018366c-f658-47a7-9ed3-4fe53a096533'),
(2, '0XDEADBEEFDEADBEEFDEADBEEFDEADBEE0', 'dead beef', 'AA-BB-CC-DD', '\X00ff', 'hello', '00000000-0000-0000-0000-000000000000'),
(3, '0xno', 'word', '2024-02-29', '\xzz', 'deadbeef00', 'none'),
(4, 'hello', NULL, NULL, NULL, NULL, NULL);
