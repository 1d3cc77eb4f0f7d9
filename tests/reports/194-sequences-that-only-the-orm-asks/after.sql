INSERT INTO celery_taskmeta (id, task_id) VALUES (nextval('task_id_sequence'), 'c') RETURNING id;
INSERT INTO celery_tasksetmeta (id, taskset_id) VALUES (nextval('taskset_id_sequence'), 'y') RETURNING id;
