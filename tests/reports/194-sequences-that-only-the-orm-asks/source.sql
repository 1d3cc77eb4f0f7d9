CREATE TABLE celery_taskmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, task_id VARCHAR(155), status VARCHAR(50), UNIQUE (task_id));
CREATE TABLE celery_tasksetmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, taskset_id VARCHAR(155), UNIQUE (taskset_id));
INSERT INTO celery_taskmeta VALUES (1,'a','SUCCESS'),(5,'b','FAILURE');
INSERT INTO celery_tasksetmeta VALUES (3,'x');
