//! What the databases of the services say when they are asked around the services: databases made, and counts of what must not be.
//!
//! One text serves both engines. It changes nothing in a database of a service.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

/// Something that databases hold a number of.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The services whose databases it is about.
    pub services: &'static [&'static str],
    /// What it is.
    pub what: &'static str,
    /// Counts it.
    count: &'static str,
}

/// Events on their way.
pub const WAITING: Counted = Counted {
    services: &["relationship", "invitation"],
    what: "events that wait in the outbox",
    count: "SELECT COUNT(*) FROM outbox",
};

/// Events that were delivered. They are kept far longer than a run takes.
pub const DELIVERED: Counted = Counted {
    services: &["relationship", "invitation"],
    what: "events that were delivered",
    count: "SELECT COUNT(*) FROM outbox_delivered",
};

/// Events in the history, each once however many feeds it stands in.
pub const TOLD: Counted = Counted {
    services: &["notification"],
    what: "events in the history",
    count: "SELECT COUNT(DISTINCT id) FROM events",
};

/// What must not be in the database of any service, once all is quiet.
pub const ABSENT: &[Counted] = &[
    WAITING,
    Counted {
        services: &["relationship", "invitation"],
        what: "events that were parked",
        count: "SELECT COUNT(*) FROM outbox_parked",
    },
    Counted {
        services: &["relationship", "invitation"],
        what: "request ids that were committed without an answer",
        count: "SELECT COUNT(*) FROM requests WHERE answer IS NULL",
    },
    Counted {
        services: &["relationship"],
        what: "services of a customer with more than one exclusive holder (I2)",
        count: "SELECT COUNT(*) FROM (SELECT customer, service FROM delegations WHERE exclusive AND state = 'ACTIVE'
                GROUP BY customer, service HAVING COUNT(*) > 1) AS shared",
    },
    Counted {
        services: &["relationship"],
        what: "active delegations without a relationship in force (I1)",
        count: "SELECT COUNT(*) FROM delegations AS held WHERE held.state = 'ACTIVE' AND NOT EXISTS (
                SELECT 1 FROM relationships AS tie WHERE tie.id = held.relationship AND tie.state <> 'TERMINATED'
                AND tie.customer = held.customer AND tie.partner = held.partner)",
    },
    Counted {
        services: &["relationship"],
        what: "pairs with more than one relationship of a type in force",
        count: "SELECT COUNT(*) FROM (SELECT customer FROM relationships WHERE state <> 'TERMINATED'
                GROUP BY customer, partner, kind HAVING COUNT(*) > 1) AS doubled",
    },
    Counted {
        services: &["relationship"],
        what: "delegations held twice by one relationship",
        count: "SELECT COUNT(*) FROM (SELECT relationship FROM delegations WHERE state = 'ACTIVE'
                GROUP BY relationship, service HAVING COUNT(*) > 1) AS doubled",
    },
    Counted {
        services: &["relationship"],
        what: "versions of an agreement that a customer accepted twice",
        count: "SELECT COUNT(*) FROM (SELECT customer FROM agreement_acceptances
                GROUP BY customer, agreement, version HAVING COUNT(*) > 1) AS doubled",
    },
    Counted {
        services: &["relationship"],
        what: "delegations that have ended and do not say when, or that have not and do (I11)",
        count: "SELECT COUNT(*) FROM delegations WHERE (state = 'ACTIVE') <> (end_time_us IS NULL)",
    },
    Counted {
        services: &["notification"],
        what: "feeds whose sequences have gaps",
        count: "SELECT COUNT(*) FROM feeds LEFT JOIN (SELECT feed, COUNT(*) AS held, MIN(sequence) AS low,
                MAX(sequence) AS high FROM events GROUP BY feed) AS kept ON kept.feed = feeds.feed
                WHERE COALESCE(kept.held, 0) <> last_sequence OR COALESCE(kept.high, 0) <> last_sequence
                OR COALESCE(kept.low, 1) <> 1",
    },
    Counted {
        services: &["notification"],
        what: "feeds that have events and no place",
        count: "SELECT COUNT(*) FROM events WHERE feed NOT IN (SELECT feed FROM feeds)",
    },
    Counted {
        services: &["notification"],
        what: "events whose time goes back within the feed of a customer",
        count:
            "SELECT COUNT(*) FROM (SELECT event_time_us, LAG(event_time_us) OVER (PARTITION BY feed ORDER BY sequence)
                AS before_us FROM events WHERE feed LIKE 'customers/%') AS stepped WHERE before_us >= event_time_us",
    },
];

/// How many there are.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(url: &str, counted: &Counted) -> Result<i64, sqlx::Error> {
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await?;
        return sqlx::query_scalar(counted.count).fetch_one(&mut connection).await;
    }
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query_scalar(counted.count).fetch_one(&mut connection).await
}

/// Makes a database of this name on a server, and returns its address. The name is lower-case letters, digits and `_`.
///
/// # Errors
/// When the server does not make it.
pub async fn create(server: &str, name: &str) -> Result<String, sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    let create = format!("CREATE DATABASE {name} TEMPLATE template0");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(crate::database::with_database(server, name))
}
