//! "Save the order and publish the event" as one thing: a transaction that fails publishes nothing, and a listener books each order once.
//!
//! `cargo run -p lightbus-examples --bin outbox`

use lightbus::{Bus, Context, HandlerError, Outbox, SqlStore};
use lightbus_broker::Broker;
use sqlx::{Sqlite, SqlitePool};
use tokio::sync::mpsc;

/// The contract.
#[lightbus::api(name = "orders")]
pub trait OrdersApi {
    /// An order is in the books of the shop.
    #[event]
    fn order_placed(order: i64, customer: String);
}

/// The shop: orders in its own database, and an outbox beside them.
struct Shop {
    db: SqlitePool,
    outbox: Outbox<Sqlite>,
}

impl Shop {
    /// Either there is an order, and everybody will hear of it, or neither.
    async fn place(&self, order: i64, customer: &str) -> anyhow::Result<()> {
        let mut tx = self.db.begin_with("BEGIN IMMEDIATE").await?;
        let event = OrderPlaced {
            order,
            customer: customer.into(),
        };
        self.outbox.publish(&mut tx, event).await?;
        // A second order of the same number is an error, which takes the event with it.
        sqlx::query("INSERT INTO orders VALUES ($1, $2)")
            .bind(order)
            .bind(customer)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Billing, in another app: books an order and notes so in one transaction of its own database.
async fn book(store: SqlStore<Sqlite>, placed: OrderPlaced) -> Result<(), HandlerError> {
    let message = Context::current().ok_or("this is no handler")?;
    let mut tx = store.pool().begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("INSERT INTO bills VALUES ($1)")
        .bind(placed.order)
        .execute(&mut *tx)
        .await?;
    store.done_in(&mut tx, &message).await?;
    tx.commit().await?;
    Ok(())
}

/// A database in memory, for which there can be only one connection.
async fn database(table: &'static str) -> anyhow::Result<SqlStore<Sqlite>> {
    let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool = options.connect("sqlite::memory:").await?;
    sqlx::query(table).execute(&pool).await?;
    let store = SqlStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (url, _broker) = broker().await?;

    let bills = database("CREATE TABLE bills (number BIGINT)").await?;
    let billing = Bus::builder("outbox-billing").url(&url).connect().await?;
    let (booked, mut bookings) = mpsc::unbounded_channel();
    let store = bills.clone();
    let handler = move |placed: OrderPlaced| {
        let (store, booked) = (store.clone(), booked.clone());
        async move {
            let order = placed.order;
            book(store, placed).await?;
            let _ = booked.send(order);
            Ok::<(), HandlerError>(())
        }
    };
    let placed = OrdersApiClient::new(&billing).order_placed();
    placed
        .deduplicate(bills.clone())
        .listen("write-bill", handler)
        .await?;

    let orders = database("CREATE TABLE orders (number BIGINT PRIMARY KEY, customer TEXT)").await?;
    let bus = Bus::builder("outbox-shop").url(&url).connect().await?;
    let shop = Shop {
        db: orders.pool().clone(),
        outbox: Outbox::new(orders),
    };
    shop.outbox.relay(&bus).await?;

    shop.place(1, "ada").await?;
    if let Err(error) = shop.place(1, "brian").await {
        println!("brian's order failed, and nobody hears of it: {error}");
    }
    shop.place(2, "grace").await?;
    for _ in 0..2 {
        if let Some(order) = bookings.recv().await {
            println!("order {order} is in the books of billing");
        }
    }

    bus.close().await;
    billing.close().await;
    let bills: Vec<i64> = sqlx::query_scalar("SELECT number FROM bills ORDER BY number")
        .fetch_all(bills.pool())
        .await?;
    println!(
        "bills: {bills:?}; events left: {}",
        shop.outbox.counts().await?.waiting
    );
    Ok(())
}

/// The RabbitMQ of `LIGHTBUS_URL`, or else a broker inside this program, which lives until it is dropped.
async fn broker() -> anyhow::Result<(String, Option<Broker>)> {
    if let Ok(url) = std::env::var("LIGHTBUS_URL") {
        return Ok((url, None));
    }
    let broker = Broker::start().await?;
    Ok((broker.url(), Some(broker)))
}
