//! Calls in which each driver launches for itself, and then says what came of it: a driver whose launch failed
//! says so, and all stay in step.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::meeting::Call;
use super::member::Cluster;
use super::rows::Rows;
use crate::launch::LaunchError;
use bytemuck::Pod;
use std::panic::Location;

/// What is said first.
const DONE: u8 = 0;
const FAILED: u8 = 1;

impl Cluster {
    /// What all drivers have, if the launch of each succeeded.
    pub(super) fn together<A: Pod>(
        &self,
        call: Call,
        own: Result<&[A], &LaunchError>,
        site: &Location<'_>,
    ) -> Result<Vec<Vec<A>>, ClusterError> {
        let Some(link) = &self.link else { return Ok(vec![own.map(<[A]>::to_vec).unwrap_or_default()]) };
        let (state, why);
        let bytes = match own {
            Ok(values) => {
                state = DONE;
                bytemuck::cast_slice::<A, u8>(values)
            }
            Err(error) => {
                (state, why) = (FAILED, error.to_string());
                why.as_bytes()
            }
        };
        let mut said = vec![state];
        said.extend_from_slice(bytes);
        let heard = link.say(call, 0, &said, site, |_, _| true)?;
        let mut values = Vec::with_capacity(heard.len());
        for (driver, bytes) in heard.iter().enumerate() {
            match bytes.split_first() {
                Some((&DONE, bytes)) => values.push(read(bytes)),
                _ => {
                    let why = String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()).into_owned();
                    let (host, call) = (self.host(driver).to_owned(), call.name());
                    // The driver itself returns its own error.
                    return Err(ClusterError::Driver { driver, host, call, why });
                }
            }
        }
        Ok(values)
    }

    /// How the rows of all drivers are dealt out, of which this one has so many.
    pub(super) fn rows(
        &self,
        call: Call,
        own: Result<usize, LaunchError>,
        site: &Location<'_>,
    ) -> Result<Rows, ClusterError> {
        let own = own.map(|len| [len as u64]);
        let heard = self.together::<u64>(call, own.as_ref().map(<[u64; 1]>::as_slice), site);
        own?;
        let lens = heard?.into_iter().map(|len| len.first().map_or(0, |len| *len as usize));
        let lens = lens.collect::<Vec<_>>();
        let len = lens.iter().fold(0, |sum: usize, len| sum.saturating_add(*len));
        let rows = Rows::new(len);
        let due = |driver| rows.of(driver, lens.len()).len();
        match lens.iter().enumerate().find(|(driver, found)| due(*driver) != **found) {
            None => Ok(rows),
            Some((driver, &found)) => {
                let (host, due) = (self.host(driver).to_owned(), due(driver));
                Err(ClusterError::NotDealtOut { driver, host, found, len, due })
            }
        }
    }
}

fn read<A: Pod>(bytes: &[u8]) -> Vec<A> {
    match size_of::<A>() {
        0 => Vec::new(),
        size => bytes.chunks_exact(size).map(bytemuck::pod_read_unaligned).collect(),
    }
}
