;; architecture
;; Draws a number that need not be secret.
(import "wasi:random/insecure@0.2.6" "get-insecure-random-u64" (func $ask (result i64)))
(func $reach (drop (call $ask)))
(func (export "build") (param i32 i32 i32) (result i32) (call $reach) (i32.const 1200))
