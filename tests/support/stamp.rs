//! One case, two engines.

/// Stamps every case for both engines.
macro_rules! store_tests {
    ($($topic:ident { $($case:ident),* $(,)? })*) => {
        mod sqlite {
            $(mod $topic {
                $(#[tokio::test]
                async fn $case() {
                    crate::$topic::$case(crate::place::Place::sqlite()).await;
                })*
            })*
        }
        mod postgres {
            $(mod $topic {
                $(#[tokio::test]
                async fn $case() {
                    crate::$topic::$case(crate::place::Place::postgres().await).await;
                })*
            })*
        }
    };
}
