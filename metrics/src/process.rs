//! What every process exposes: its version, its use of the machine as `process_*`, which are Prometheus' own names, and
//! the load of its runtime.

use std::time::Duration;

use prometheus::process_collector::ProcessCollector;
use tokio::runtime::Handle;

use crate::Registry;

/// Declares the metrics of this process, which is that node and runs that role and version on that runtime.
pub fn declare(registry: &Registry, node: &str, role: &'static str, version: &'static str, runtime: &Handle) {
    registry.register(ProcessCollector::for_self());
    registry.build_info(node, role, version);
    let runtime = || runtime.metrics();
    let (tasks, queue, workers, busy) = (runtime(), runtime(), runtime(), runtime());
    registry.gauge("chatting_runtime_tasks", "Tasks of the runtime that are alive.", move || {
        tasks.num_alive_tasks() as f64
    });
    registry.gauge(
        "chatting_runtime_queue_tasks",
        "Tasks that wait in the runtime's shared queue for a worker.",
        move || queue.global_queue_depth() as f64,
    );
    registry.gauge("chatting_runtime_workers", "Worker threads of the runtime.", move || workers.num_workers() as f64);
    registry.read_counter(
        "chatting_runtime_busy_seconds_total",
        "Time that the workers were busy, all together. Its rate divided by the workers is the busy ratio.",
        move || {
            let of = |worker| busy.worker_total_busy_duration(worker);
            (0..busy.num_workers()).map(of).sum::<Duration>().as_secs_f64()
        },
    );
}
