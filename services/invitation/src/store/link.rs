//! Links.

use clock::Time;
use cloud::TenantId;
use store::{Failure, Tx, Work, on};

use crate::domain::key::KeyId;
use crate::domain::link::{Link, Options, State};

const TABLE: &str = "links";

const FIND: &str = "SELECT partner, slug, generation, state, key_id, create_time_us, update_time_us, version
     FROM links WHERE partner = $1 AND slug = $2";
const LIST: &str = "SELECT partner, slug, generation, state, key_id, create_time_us, update_time_us, version
     FROM links WHERE partner = $1 AND slug > $2 ORDER BY slug LIMIT $3";
const INSERT: &str =
    "INSERT INTO links (partner, slug, generation, state, key_id, create_time_us, update_time_us, version)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (partner, slug) DO NOTHING";
const UPDATE: &str = "UPDATE links SET generation = $3, state = $4, key_id = $5, update_time_us = $6, version = $7
     WHERE partner = $1 AND slug = $2";

fn state_text(state: State) -> &'static str {
    match state {
        State::Active => "ACTIVE",
        State::Disabled => "DISABLED",
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    partner: String,
    slug: String,
    generation: i64,
    state: String,
    key_id: String,
    create_time_us: i64,
    update_time_us: i64,
    version: i64,
}

impl TryFrom<Row> for Link {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Link, Failure> {
        let inconsistent = |problem: String| Failure::inconsistent(TABLE, problem);
        let state = [State::Active, State::Disabled].into_iter().find(|state| state_text(*state) == row.state);
        Ok(Link {
            partner: TenantId::parse(&row.partner).map_err(|error| inconsistent(error.to_string()))?,
            options: Options::parse(&row.slug).map_err(|error| inconsistent(error.to_string()))?,
            generation: u32::try_from(row.generation).map_err(|error| inconsistent(error.to_string()))?,
            state: state.ok_or_else(|| inconsistent(format!("{:?} is no state", row.state)))?,
            key_id: KeyId::parse(&row.key_id).ok_or_else(|| inconsistent("a key id is malformed".to_owned()))?,
            create_time: Time::from_micros(row.create_time_us),
            update_time: Time::from_micros(row.update_time_us),
            version: row.version,
        })
    }
}

/// The link of a partner with these options, if it has been asked for.
///
/// # Errors
/// [`Failure`] of the database.
pub async fn find(tx: &mut Tx, partner: &TenantId, options: &Options) -> Result<Option<Link>, Failure> {
    let row: Option<Row> = on!(tx, tx => sqlx::query_as(FIND)
        .bind(partner.as_str())
        .bind(options.slug())
        .fetch_optional(&mut **tx)
        .await?);
    row.map(Link::try_from).transpose()
}

/// Links of a partner after a slug, in order.
///
/// # Errors
/// [`Failure`] of the database.
pub async fn list(tx: &mut Tx, partner: &TenantId, after: &str, limit: i64) -> Result<Vec<Link>, Failure> {
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(LIST)
        .bind(partner.as_str())
        .bind(after)
        .bind(limit)
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(Link::try_from).collect()
}

/// Writes a changed link back.
///
/// # Errors
/// [`Failure`] of the database.
pub async fn update(tx: &mut Tx, link: &Link) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(UPDATE)
            .bind(link.partner.as_str())
            .bind(link.options.slug())
            .bind(i64::from(link.generation))
            .bind(state_text(link.state))
            .bind(link.key_id.as_str())
            .bind(link.update_time.micros())
            .bind(link.version)
            .execute(&mut **tx)
            .await?;
    });
    Ok(())
}

/// Keeps a link asked for the first time. Of several at the same moment one is kept, and all get that one.
#[derive(Debug)]
pub struct Keep(pub Link);

impl Work for Keep {
    const NAME: &'static str = "keep_link";
    type Answer = Link;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<Link, Failure> {
        let Keep(link) = self;
        on!(&mut *tx, tx => {
            sqlx::query(INSERT)
                .bind(link.partner.as_str())
                .bind(link.options.slug())
                .bind(i64::from(link.generation))
                .bind(state_text(link.state))
                .bind(link.key_id.as_str())
                .bind(link.create_time.micros())
                .bind(link.update_time.micros())
                .bind(link.version)
                .execute(&mut **tx)
                .await?;
        });
        let kept = find(tx, &link.partner, &link.options).await?;
        kept.ok_or_else(|| Failure::inconsistent(TABLE, "a link has gone, and links are never deleted"))
    }
}
