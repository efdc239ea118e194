;; architecture
;; Keeps a value of the first graph that it builds, and uses it in the next, if it can.
(import "inference:runtime/graph@0.1.0" "token-ids" (func $token_ids (result i32)))
(import "inference:runtime/graph@0.1.0" "[method]value.rows" (func $rows (param i32 i32) (result i32)))
(import "inference:runtime/graph@0.1.0" "output" (func $output (param i32 i32 i32)))
(import "inference:runtime/weights@0.1.0" "tensor" (func $tensor (param i32 i32) (result i32)))
(data (i32.const 2048) "words.weighthidden_states")
(global $kept (mut i32) (i32.const 0))
(global $builds (mut i32) (i32.const 0))
(func (export "build") (param i32 i32 i32) (result i32)
    ;; An instance that had built a graph before would trap here.
    (if (global.get $builds) (then (drop (call $rows (global.get $kept) (global.get $kept)))))
    (global.set $builds (i32.add (global.get $builds) (i32.const 1)))
    (global.set $kept (call $rows (call $tensor (i32.const 2048) (i32.const 12)) (call $token_ids)))
    (call $output (i32.const 2060) (i32.const 13) (global.get $kept))
    (i32.const 1200))
