//! Start-up of the queue: whoever held leases is gone.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::clock::now_microseconds;
use crate::counters::Counters;
use crate::{DeliveryState, Error};

/// Ends all leases: what was never tried is ready again, in its old place, and the ledger says that it may have been
/// sent; what was, is to be tried again now. Nothing is known of any destination. Takes as long as there are leases, however much waits.
pub(crate) fn resume(connection: &Connection) -> Result<(), Error> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let now = now_microseconds();
    let mut counters = Counters::default();
    let destinations: Vec<i64> = transaction
        .prepare("SELECT destination_pk FROM destination")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for destination in destinations {
        let mut statement = transaction.prepare(END_LEASES)?;
        let states = statement
            .query_map(params![destination, now, MAY_BE_THERE], |row| row.get::<_, DeliveryState>(0))?;
        for state in states {
            counters.moved(destination, Some(DeliveryState::Leased), state?);
        }
    }
    counters.write(&transaction)?;
    transaction.execute("UPDATE destination SET circuit = 0, probe_at = 0 WHERE circuit <> 0", [])?;
    transaction.commit()?;
    Ok(())
}

/// The index of open deliveries is chosen only where a condition repeats its own.
pub(crate) const END_LEASES: &str = "UPDATE delivery INDEXED BY delivery_open
    SET state = attempts > 0, due = iif(attempts > 0, ?2, queued), status = iif(status = '', ?3, status)
    WHERE destination_pk = ?1 AND state = 2 AND state < 4 RETURNING state";

const MAY_BE_THERE: &str = "the server ended while this was claimed; whether it was sent is not known";
