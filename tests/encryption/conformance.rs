//! The crypto library's suite for stores.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use drawbridge::{clock::SystemClock, encryption::MachineStore};
use ruma_crypto::{device_id, user_id};

use crate::place::Place;

/// The databases of the suite's cases by their names.
type Places = Mutex<BTreeMap<String, Arc<Place>>>;

async fn store(places: &Places, name: &str, fresh: Option<Place>) -> MachineStore {
    let place = {
        let mut places = places.lock().unwrap();
        if let Some(place) = fresh {
            places.insert(name.to_owned(), Arc::new(place));
        }
        places[name].clone()
    };
    let account = match name {
        "user_saving" => (user_id!("@example:localhost"), device_id!("WSKKLTJZCL")),
        _ => (user_id!("@alice:example.org"), device_id!("ALICEDEVICE")),
    };
    MachineStore::new(
        place.open().await,
        (account.0.to_owned(), account.1.to_owned()),
        Arc::new(SystemClock),
    )
}

mod sqlite {
    use drawbridge::encryption::MachineStore;
    use matrix_sdk_crypto::{cryptostore_integration_tests, cryptostore_integration_tests_time};

    use super::{Place, Places};

    static PLACES: Places = Places::new(std::collections::BTreeMap::new());

    async fn get_store(name: &str, _passphrase: Option<&str>, clear_data: bool) -> MachineStore {
        super::store(&PLACES, name, clear_data.then(Place::sqlite)).await
    }

    cryptostore_integration_tests!();
    cryptostore_integration_tests_time!();
}

mod postgres {
    use drawbridge::encryption::MachineStore;
    use matrix_sdk_crypto::{cryptostore_integration_tests, cryptostore_integration_tests_time};

    use super::{Place, Places};

    static PLACES: Places = Places::new(std::collections::BTreeMap::new());

    async fn get_store(name: &str, _passphrase: Option<&str>, clear_data: bool) -> MachineStore {
        let fresh = if clear_data {
            Some(Place::postgres().await)
        } else {
            None
        };
        super::store(&PLACES, name, fresh).await
    }

    cryptostore_integration_tests!();
    cryptostore_integration_tests_time!();
}
