CREATE TABLE m (id INTEGER PRIMARY KEY, wrapped, bare, url, link, stray, number);
INSERT INTO m VALUES (1, 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4'||char(10)||'OTo7'||char(10)||'', 'c2VjcmV0IQ', '-_8AESIzRFVmd4iZ', 'data:image/png;base64,iVBORw0KGgo=', 'aGVsbG8gd29ybGQhIQ==', 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ'),
(2, 'YWJjZGVmZ2g='||char(10)||'', 'aGVsbG8h', 'Pz8_YWJjMTIz', 'one, two', 'hello', 7),
(3, 'two'||char(10)||'words', 'SGVsbG8gd29ybGQ', 'some-long-slug-of-an-article', NULL, 'hello world', NULL);
