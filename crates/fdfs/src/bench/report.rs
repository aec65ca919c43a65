//! What was measured, as text or JSON.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use super::Operation;
use super::load::{Load, Tally};

/// Sums over all connections.
pub struct Measured {
    operation: Operation,
    size: usize,
    connections: usize,
    elapsed: Duration,
    client_cpu: Duration,
    pub server_cpu: Option<Duration>,
    latency: Option<Histogram<u64>>,
    bytes: u64,
    pub errors: u64,
    pub first_error: String,
}

impl Measured {
    pub fn new(load: &Load, elapsed: Duration, client_cpu: Duration) -> Self {
        Self {
            operation: load.operation,
            size: load.size,
            connections: load.connections,
            elapsed,
            client_cpu,
            server_cpu: None,
            latency: None,
            bytes: 0,
            errors: 0,
            first_error: String::new(),
        }
    }

    pub fn add(&mut self, tally: Tally) {
        self.bytes += tally.bytes;
        self.errors += tally.errors;
        if self.first_error.is_empty() {
            self.first_error = tally.first_error;
        }
        match &mut self.latency {
            Some(latency) => *latency += tally.latency,
            None => self.latency = Some(tally.latency),
        }
    }

    pub fn print_text(&self) {
        println!(
            "{:?} of {} bytes over {} connections, {:.2} s",
            self.operation,
            self.size,
            self.connections,
            self.elapsed.as_secs_f64()
        );
        println!("  {:.0} ops/s, {:.1} MB/s, {} errors", self.rate(), self.megabytes(), self.errors);
        let [p50, p99, p999, max] = self.percentiles();
        println!("  latency ms: p50 {p50:.3}, p99 {p99:.3}, p99.9 {p999:.3}, max {max:.3}");
        match self.server_cpu {
            Some(cpu) => println!("  server CPU: {:.1} µs per operation", self.per_operation(cpu)),
            None => println!("  server CPU: not known, the storage is not a process of this machine"),
        }
        println!("  client CPU: {:.1} µs per operation", self.per_operation(self.client_cpu));
    }

    pub fn print_json(&self) {
        let [p50, p99, p999, max] = self.percentiles();
        let object = json!({
            "operation": format!("{:?}", self.operation).to_lowercase(),
            "size": self.size,
            "connections": self.connections,
            "seconds": self.elapsed.as_secs_f64(),
            "operations": self.operations(),
            "errors": self.errors,
            "ops_per_second": self.rate(),
            "megabytes_per_second": self.megabytes(),
            "latency_ms": { "p50": p50, "p99": p99, "p99_9": p999, "max": max },
            "server_cpu_us_per_operation": self.server_cpu.map(|cpu| self.per_operation(cpu)),
            "client_cpu_us_per_operation": self.per_operation(self.client_cpu),
        });
        println!("{object}");
    }

    fn operations(&self) -> u64 {
        self.latency.as_ref().map_or(0, Histogram::len)
    }

    fn rate(&self) -> f64 {
        self.operations() as f64 / self.elapsed.as_secs_f64()
    }

    fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    fn percentiles(&self) -> [f64; 4] {
        let at = |quantile| {
            self.latency.as_ref().map_or(0.0, |latency| latency.value_at_quantile(quantile) as f64 / 1e6)
        };
        [at(0.5), at(0.99), at(0.999), at(1.0)]
    }

    fn per_operation(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.operations().max(1) as f64
    }
}
