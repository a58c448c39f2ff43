//! Counters that a transaction adds up and writes once, however many instances it has.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::store::Place;
use crate::{DeliveryState, Error};

/// What the instances of one transaction add to the counters of the rows above them.
#[derive(Default)]
pub(crate) struct Counters {
    patients: HashMap<i64, OfPatient>,
    studies: HashMap<i64, OfStudy>,
    series: HashMap<i64, i64>,
    /// Deliveries of destinations, by the code of their state.
    deliveries: HashMap<i64, [i64; 7]>,
    totals: Totals,
}

#[derive(Default)]
struct OfPatient {
    studies: i64,
    series: i64,
    instances: i64,
}

#[derive(Default)]
struct OfStudy {
    series: i64,
    instances: i64,
    disagreements: i64,
    received: i64,
}

#[derive(Default, PartialEq)]
struct Totals {
    patients: i64,
    studies: i64,
    series: i64,
    instances: i64,
    bytes: i64,
    conflicts: i64,
    disagreements: i64,
    repairs: i64,
}

impl Counters {
    pub(crate) fn patients(&mut self, change: i64) {
        self.totals.patients += change;
    }

    pub(crate) fn study(&mut self, patient_pk: i64) {
        self.patients.entry(patient_pk).or_default().studies += 1;
        self.totals.studies += 1;
    }

    pub(crate) fn series(&mut self, patient_pk: i64, study_pk: i64) {
        self.patients.entry(patient_pk).or_default().series += 1;
        self.studies.entry(study_pk).or_default().series += 1;
        self.totals.series += 1;
    }

    pub(crate) fn instance(&mut self, place: &Place, bytes: u64, received: i64, disagrees: bool) {
        let disagreements = i64::from(disagrees);
        let study = self.studies.entry(place.study_pk).or_default();
        study.instances += 1;
        study.disagreements += disagreements;
        study.received = received;
        self.patients.entry(place.patient_pk).or_default().instances += 1;
        *self.series.entry(place.series_pk).or_default() += 1;
        self.totals.instances += 1;
        self.totals.disagreements += disagreements;
        self.bytes(bytes);
    }

    pub(crate) fn conflict(&mut self, bytes: u64) {
        self.totals.conflicts += 1;
        self.bytes(bytes);
    }

    /// A lost file was replaced by one that has so many bytes more.
    pub(crate) fn repair(&mut self, more_bytes: i64) {
        self.totals.repairs += 1;
        self.totals.bytes = self.totals.bytes.saturating_add(more_bytes);
    }

    /// A delivery of a destination is in another state, or is there for the first time.
    pub(crate) fn moved(&mut self, destination: i64, from: Option<DeliveryState>, to: DeliveryState) {
        let states = self.deliveries.entry(destination).or_default();
        for (state, change) in from.map(|from| (from, -1)).into_iter().chain([(to, 1)]) {
            if let Some(count) = states.get_mut(usize::from(state.code())) {
                *count += change;
            }
        }
    }

    /// Instances that said something else than the rows above them.
    pub(crate) fn disagreements(&self) -> i64 {
        self.totals.disagreements
    }

    /// Writes what has added up, and starts again at nothing.
    pub(crate) fn write(&mut self, connection: &Connection) -> Result<(), Error> {
        self.write_rows(connection)?;
        self.write_deliveries(connection)?;
        let totals = std::mem::take(&mut self.totals);
        if totals == Totals::default() {
            return Ok(());
        }
        connection
            .prepare_cached(
                "UPDATE total SET patients = patients + ?1, studies = studies + ?2, series = series + ?3,
                 instances = instances + ?4, bytes = bytes + ?5, conflicts = conflicts + ?6,
                 disagreements = disagreements + ?7, repairs = repairs + ?8",
            )?
            .execute(params![
                totals.patients,
                totals.studies,
                totals.series,
                totals.instances,
                totals.bytes,
                totals.conflicts,
                totals.disagreements,
                totals.repairs
            ])?;
        Ok(())
    }

    /// Writes the counters of patients, studies and series, so that their rows can be read.
    pub(crate) fn write_rows(&mut self, connection: &Connection) -> Result<(), Error> {
        let mut patient = connection.prepare_cached(
            "UPDATE patient SET number_of_studies = number_of_studies + ?2, number_of_series = number_of_series + ?3,
             number_of_instances = number_of_instances + ?4 WHERE patient_pk = ?1",
        )?;
        for (pk, add) in self.patients.drain() {
            patient.execute(params![pk, add.studies, add.series, add.instances])?;
        }
        let mut study = connection.prepare_cached(
            "UPDATE study SET number_of_series = number_of_series + ?2, number_of_instances = number_of_instances + ?3,
             disagreements = disagreements + ?4, received = max(received, ?5) WHERE study_pk = ?1",
        )?;
        for (pk, add) in self.studies.drain() {
            study.execute(params![pk, add.series, add.instances, add.disagreements, add.received])?;
        }
        let mut series = connection.prepare_cached(
            "UPDATE series SET number_of_instances = number_of_instances + ?2 WHERE series_pk = ?1",
        )?;
        for (pk, instances) in self.series.drain() {
            series.execute([pk, instances])?;
        }
        Ok(())
    }

    fn write_deliveries(&mut self, connection: &Connection) -> Result<(), Error> {
        for (pk, states) in self.deliveries.drain().filter(|(_, states)| states.iter().any(|add| *add != 0)) {
            let [ready, retrying, leased, dead, delivered, withheld, verifying] = states;
            connection
                .prepare_cached(
                    "UPDATE destination SET ready = ready + ?2, retrying = retrying + ?3, leased = leased + ?4,
                     dead = dead + ?5, delivered = delivered + ?6, withheld = withheld + ?7, verifying = verifying + ?8
                     WHERE destination_pk = ?1",
                )?
                .execute([pk, ready, retrying, leased, dead, delivered, withheld, verifying])?;
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: u64) {
        self.totals.bytes = self.totals.bytes.saturating_add_unsigned(bytes);
    }
}
