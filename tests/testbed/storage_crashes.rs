//! Every crash point of storage on the simulated disk: the agent's own script, model and judge, with
//! the power cuts that scenarios have.

use std::path::Path;
use std::sync::Arc;

use proconsul::base::runtime::Runtime;
use proconsul::driver::persist::Store;
use sim_runner::fabric::Keep;

use crate::fabric_suite::run;
use crate::persist_script::{Author, FOLDER, Model, Step, judge, options, perform};
use crate::persist_watched::Watched;

/// Performs steps until the power is gone; what may be found then.
async fn until_the_cut(disk: &Watched<sim_runner::fabric::SimDisk>, script: &[Step]) -> Vec<Model> {
    let mut model = Model::default();
    let Ok((mut store, _)) = Store::open(disk.clone(), FOLDER, options()).await else {
        return vec![model];
    };
    for step in script {
        if perform(&mut store, step).await.is_err() {
            return model.stages(step);
        }
        model = model.after(step);
    }
    vec![model]
}

#[test]
fn every_crash_point_on_the_simulated_disk_keeps_what_was_acknowledged() {
    run(|net| async move {
        let script = Author::new(11, Model::default()).script(14);
        let mut runtime = net.on_b.clone();
        let (mut points, mut limit, mut reached) = (0, 0, true);
        while reached {
            for keep in [Keep::Synced, Keep::All, Keep::Some, Keep::Some, Keep::Some] {
                let dies = Arc::new(move |operation| operation < limit);
                let disk = Watched::new(runtime.disk(Path::new("/data")), dies);
                let possible = until_the_cut(&disk, &script).await;
                reached = disk.operations() > limit;
                net.fabric.kill(net.b, keep);
                runtime = net.fabric.start(net.b);
                let judged = judge(runtime.disk(Path::new("/data")), &possible).await;
                assert_eq!(judged, Ok(()), "cut before operation {limit}, kept {keep:?}");
                points += 1;
                // The next one begins on an empty disk, with nothing pending.
                net.fabric.kill(net.b, Keep::All);
                runtime = net.fabric.start(net.b);
                for (file, _) in net.fabric.list_files(net.b) {
                    net.fabric.remove_file(net.b, &file).unwrap();
                }
            }
            limit += 1;
        }
        println!("recovery points tried on the simulated disk: {points}");
        assert!(points > 400, "{points}");
    });
}
