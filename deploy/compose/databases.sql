-- A role and a database for each service, and nobody else's. Run once, by an empty server.
\set password `cat /run/secrets/membership_password`
CREATE ROLE membership LOGIN PASSWORD :'password';
CREATE DATABASE membership OWNER membership;
REVOKE ALL ON DATABASE membership FROM PUBLIC;
\set password `cat /run/secrets/feedback_password`
CREATE ROLE feedback LOGIN PASSWORD :'password';
CREATE DATABASE feedback OWNER feedback;
REVOKE ALL ON DATABASE feedback FROM PUBLIC;
\set password `cat /run/secrets/recognition_password`
CREATE ROLE recognition LOGIN PASSWORD :'password';
CREATE DATABASE recognition OWNER recognition;
REVOKE ALL ON DATABASE recognition FROM PUBLIC;
\set password `cat /run/secrets/notifications_password`
CREATE ROLE notifications LOGIN PASSWORD :'password';
CREATE DATABASE notifications OWNER notifications;
REVOKE ALL ON DATABASE notifications FROM PUBLIC;
