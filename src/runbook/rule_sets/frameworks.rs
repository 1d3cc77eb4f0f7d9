//! What frameworks and their servers print: the exceptions of their database layers, requests that failed, and that they have started. Not in
//! here: PostgreSQL's own words, which most of them pass on (`server`).

use super::Rules;

pub(super) const DJANGO: Rules = &[
    ("pending_migration", r"You have \d+ unapplied migration"),
    (
        "migration_completed",
        r"No migrations to apply|Applying \S+\.\d{4}_\S+\.\.\. OK",
    ),
    ("database_constraint", r"django\.db\.utils\.IntegrityError"),
    ("database_exception", r"django\.db\.utils\.\w+Error"),
    (
        "endpoint_exception",
        r"(?:Internal Server Error|Service Unavailable|Bad Gateway): (?<endpoint>/\S*)",
    ),
];

/// Flask, FastAPI and their kin, on SQLAlchemy, Peewee or Tortoise.
pub(super) const PYTHON: Rules = &[
    (
        "pending_migration",
        r"Target database is not up to date|[Pp]ending migration",
    ),
    (
        "database_timeout",
        r"sqlalchemy\.exc\.TimeoutError|QueuePool limit of size|PoolTimeout",
    ),
    (
        "database_constraint",
        r"(?:sqlalchemy\.exc|peewee|tortoise\.exceptions)\.IntegrityError",
    ),
    (
        "database_exception",
        r"sqlalchemy\.exc\.\w+|peewee\.\w+Error|tortoise\.exceptions\.\w+|asyncpg\.exceptions\.\w+|\bpsycopg2?\.\S*(?:Error|Violation)",
    ),
    (
        "endpoint_exception",
        r"Exception on (?<endpoint>/\S*) \[[A-Z]+\]|Exception in ASGI application",
    ),
];

/// What serves Python's applications.
pub(super) const GUNICORN: Rules = &[
    (
        "unhandled_exception",
        r"Exception in worker process|Worker failed to boot|WORKER TIMEOUT|Worker \(pid:\d+\) (?:was sent SIGKILL|exited with code)",
    ),
    ("services_initialised", r"Listening at: "),
    ("host_booted", r"Booting worker with pid: "),
];

pub(super) const UVICORN: Rules = &[
    ("unhandled_exception", r"Application startup failed"),
    ("services_initialised", r"Uvicorn running on |Listening on "),
    ("host_booted", r"Application startup complete"),
];

pub(super) const RAILS: Rules = &[
    (
        "pending_migration",
        r"ActiveRecord::PendingMigrationError|Migrations are pending",
    ),
    (
        "database_timeout",
        r"ActiveRecord::(?:ConnectionTimeoutError|QueryCanceled|StatementTimeout|LockWaitTimeout)",
    ),
    (
        "database_deadlock",
        r"ActiveRecord::(?:Deadlocked|SerializationFailure)|PG::TRDeadlockDetected",
    ),
    (
        "database_constraint",
        r"ActiveRecord::(?:RecordNotUnique|InvalidForeignKey|NotNullViolation|ValueTooLong|RangeError)|PG::\w*Violation",
    ),
    ("database_authentication", r"PG::InsufficientPrivilege"),
    ("ddl_exception", r"PG::(?:Undefined|Duplicate)\w+"),
    (
        "database_exception",
        r"ActiveRecord::(?:StatementInvalid|StatementTimeout|ConnectionNotEstablished|ConnectionFailed|DatabaseConnectionError|NoDatabaseError)|\bPG::\w+",
    ),
    (
        "endpoint_exception",
        // Not `ActionController::RoutingError`: that is an address that is not there.
        r"Completed 5\d\d |ActionView::Template::Error|ActionController::(?:Rendering|SessionOverflow|UrlGeneration)Error",
    ),
];

pub(super) const PUMA: Rules = &[
    (
        "unhandled_exception",
        r"Puma caught this error|Unable to load application|unhandled exception",
    ),
    (
        "endpoint_exception",
        r#"Rack app \("[A-Z]+ (?<endpoint>/[^\s"]*)"#,
    ),
    ("services_initialised", r"\* Listening on "),
    (
        "host_booted",
        r"Use Ctrl-C to stop|- Worker \d+ \(PID: \d+\) booted",
    ),
];

pub(super) const LARAVEL: Rules = &[
    (
        "database_exception",
        r"Illuminate\\+Database\\+\w*Exception|Doctrine\\+DBAL\\+\S*Exception|PDOException",
    ),
    ("unhandled_exception", r"PHP Fatal error|Uncaught "),
    (
        "endpoint_exception",
        r"\.(?:ERROR|CRITICAL|ALERT|EMERGENCY): ",
    ),
    ("migration_completed", r"Nothing to migrate"),
    (
        "host_booted",
        r"ready to handle connections|Server running on \[|Server running\.\.\.",
    ),
];

/// Sequelize, Prisma, TypeORM, Knex, Drizzle, and `pg` below them.
pub(super) const NODE: Rules = &[
    (
        "database_timeout",
        r"SequelizeConnectionAcquireTimeoutError|KnexTimeoutError|Timed out fetching a new connection|timeout exceeded when trying to connect|Query read timeout|\bP2024\b",
    ),
    (
        "database_constraint",
        r"Sequelize(?:UniqueConstraint|ForeignKeyConstraint|ExclusionConstraint)Error|\b(?:P2002|P2003|P2011)\b|code: '23[0-9A-Z]{3}'",
    ),
    (
        "database_authentication",
        r"SequelizeAccessDeniedError|\b(?:P1000|P1010)\b|code: '(?:28[0-9A-Z]{3}|42501)'",
    ),
    (
        "ddl_exception",
        r"\b(?:P2021|P2022)\b|code: '42(?:P01|703|704|883|P07|701|710)'",
    ),
    (
        "database_exception",
        r"Sequelize(?:Connection|Database|Host|Timeout)\w*Error|PrismaClient\w+Error|QueryFailedError|DrizzleQueryError|TypeORMError|Connection (?:terminated|ended) unexpectedly|ECONNREFUSED \S*:[56]432",
    ),
    (
        "unhandled_exception",
        // The last is what Node says when an exception ends it.
        r"UnhandledPromiseRejection|ERR_UNHANDLED_REJECTION|[Uu]ncaught ?[Ee]xception|FATAL ERROR: |^Node\.js v\d",
    ),
    // Fastify's and pino-http's lines of JSON, and the stack that Express prints.
    (
        "endpoint_exception",
        r#""level":[56]0\b.*?"url":"(?<endpoint>/[^"]*)".*?"statusCode":5\d\d|^(?:[A-Z]\w*)?Error: "#,
    ),
    (
        "host_booted",
        r"[Ll]istening (?:on|at) |[Ss]erver (?:is )?(?:running|listening|started)|application successfully started|[Rr]eady (?:in|on) ",
    ),
];

pub(super) const GO: Rules = &[
    (
        "database_exception",
        r"\bpq: |\bpgconn\.|failed to connect to ",
    ),
    (
        "unhandled_exception",
        r"^panic: |http: panic serving|^fatal error: ",
    ),
    (
        "host_booted",
        r"[Ll]istening (?:on|at) |[Ss]erver (?:started|listening|running)|[Ss]tarting (?:the )?(?:HTTP |http )?server",
    ),
];

/// Spring Boot, with Hikari, Hibernate, Flyway and Liquibase.
pub(super) const SPRING: Rules = &[
    (
        "database_timeout",
        r"HikariPool-\d+ - Connection is not available|SQLTransientConnectionException|QueryTimeoutException",
    ),
    (
        "database_deadlock",
        r"DeadlockLoserDataAccessException|CannotAcquireLockException|CannotSerializeTransactionException",
    ),
    (
        "database_constraint",
        r"DataIntegrityViolationException|ConstraintViolationException|DuplicateKeyException",
    ),
    (
        "ddl_exception",
        r"BadSqlGrammarException|SQLGrammarException|Schema-validation: ",
    ),
    (
        "database_exception",
        r"PSQLException|\w*DataAccess\w*Exception|JDBC\w*Exception|\bSQL\w*Exception|JpaSystemException|HikariPool-\d+ - (?:Exception|Failed)|FlywayException|liquibase\.exception\.",
    ),
    (
        "migration_completed",
        r"Successfully applied \d+ migration|is up to date\. No migration necessary",
    ),
    (
        "endpoint_exception",
        r"Servlet\.service\(\) for servlet .* threw exception|Error has been observed at the following site",
    ),
    (
        "unhandled_exception",
        r"APPLICATION FAILED TO START|Application run failed|Exception in thread ",
    ),
    (
        "services_initialised",
        r"(?:Tomcat|Jetty|Undertow|Netty) started on port",
    ),
    ("host_booted", r"Started \S+ in [\d.]+ seconds"),
];
