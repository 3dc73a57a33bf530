//! The databases that SQL stores are tested on: SQLite always, PostgreSQL where `LIGHTBUS_POSTGRES_URL` says.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool, SqlitePool};

/// An empty database of a test's own.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

pub(crate) async fn on_each_database(
    name: &str,
    test: impl AsyncFn(Database) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    test(sqlite(name).await?).await?;
    match std::env::var("LIGHTBUS_POSTGRES_URL") {
        Ok(url) => test(postgres(&url, name).await?).await,
        Err(_) => Ok(()),
    }
}

pub(crate) async fn sqlite(name: &str) -> anyhow::Result<Database> {
    let options = SqliteConnectOptions::new()
        .filename(empty_directory(name)?.join("test.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().connect_with(options).await?;
    Ok(Database::Sqlite(pool))
}

/// A test's own, in the build's directory. The next run empties it, however this one ends: the test does not know when the pool's last user is gone.
fn empty_directory(name: &str) -> anyhow::Result<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => std::fs::create_dir_all(&directory)?,
    }
    Ok(directory)
}

async fn postgres(url: &str, name: &str) -> anyhow::Result<Database> {
    let schema = format!("lightbus_{name}_{}", std::process::id());
    let options = sqlx::postgres::PgPoolOptions::new().after_connect({
        let path = format!("SET search_path TO {schema}");
        move |connection, _| {
            let path = path.clone();
            Box::pin(async move { connection.execute(AssertSqlSafe(path)).await.map(drop) })
        }
    });
    let pool = options.connect(url).await?;
    let drop_old = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
    pool.execute(AssertSqlSafe(drop_old)).await?;
    pool.execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
        .await?;
    Ok(Database::Postgres(pool))
}
