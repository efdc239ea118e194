;; architecture
;; Gives a value back twice.
(import "inference:runtime/graph@0.1.0" "token-ids" (func $token_ids (result i32)))
(import "inference:runtime/graph@0.1.0" "[resource-drop]value" (func $drop (param i32)))
(func $twice (local i32)
    (local.set 0 (call $token_ids))
    (call $drop (local.get 0))
    (call $drop (local.get 0)))
(func (export "build") (param i32 i32 i32) (result i32) (call $twice) (i32.const 1200))
