CREATE TABLE page_restrictions (pr_id serial PRIMARY KEY, pr_expiry timestamptz, pr_since timestamptz NOT NULL, pr_type text NOT NULL);
