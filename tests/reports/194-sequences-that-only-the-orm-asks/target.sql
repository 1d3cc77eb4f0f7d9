CREATE SEQUENCE task_id_sequence;
CREATE SEQUENCE taskset_id_sequence;
CREATE TABLE celery_taskmeta (id integer NOT NULL PRIMARY KEY, task_id varchar(155) UNIQUE, status varchar(50));
CREATE TABLE celery_tasksetmeta (id integer NOT NULL PRIMARY KEY, taskset_id varchar(155) UNIQUE);
