CREATE TABLE m (id INTEGER PRIMARY KEY, list, place, at);
INSERT INTO m VALUES (1, ',a,b,', 1, 1709210096), (2, 5, 2, 1709210096123), (3, 'd', 99, '1.2.3'), (4, ',e', '1.5', '1709210097');
