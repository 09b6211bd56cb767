package org.example.made

import android.content.Context
import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import org.json.JSONArray
import org.json.JSONObject
import org.json.JSONTokener
import org.tensorflow.lite.Interpreter

/** A file that made_tf exported, opened from the assets. One thread at a time. */
class Made(context: Context, asset: String = "made.tflite") : Closeable {
    private val interpreter: Interpreter

    /** What the file says of itself. */
    val metadata: JSONObject
    val eventSize: Int

    init {
        val bytes = context.assets.open(asset).use { it.readBytes() }
        check(isWhole(bytes)) { "$asset is damaged, or made_tf did not export it" }
        metadata = readMetadata(bytes)
        eventSize = metadata.getInt("event_size")
        val buffer = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder())
        buffer.put(bytes).rewind()
        interpreter = Interpreter(buffer)
    }

    val signatures: List<String> get() = interpreter.signatureKeys.toList()

    /** Rows first, first + 1, ... of the sample with this seed: [count, D]. */
    fun sample(count: Int, seed: Int, first: Int = 0): Array<FloatArray> {
        val rows = Array(count) { FloatArray(eventSize) }
        val inputs = mapOf("seeds" to seeds(count, seed, first))
        interpreter.runSignature(inputs, mapOf("x" to rows), "sample")
        return rows
    }

    /** Natural log-probabilities (or log-densities) of rows: [N]. */
    fun logProb(rows: Array<FloatArray>): FloatArray {
        val result = FloatArray(rows.size)
        interpreter.runSignature(mapOf("x" to rows), mapOf("log_prob" to result), "log_prob")
        return result
    }

    /** Fills in what is NaN, by one draw for each row; of a model of all orders. */
    fun impute(rows: Array<FloatArray>, seed: Int): Array<FloatArray> {
        val known = Array(rows.size) { i -> FloatArray(eventSize) { k -> if (rows[i][k].isNaN()) 0f else rows[i][k] } }
        val observed = Array(rows.size) { i -> IntArray(eventSize) { k -> if (rows[i][k].isNaN()) 0 else 1 } }
        val filled = Array(rows.size) { FloatArray(eventSize) }
        val inputs = mapOf("x" to known, "observed" to observed, "seeds" to seeds(rows.size, seed, 0))
        interpreter.runSignature(inputs, mapOf("x" to filled), "impute")
        return filled
    }

    /** A row in words: "colour: red", where the file was exported with names and classes. */
    fun describe(row: FloatArray): List<String> {
        val variables: JSONArray? = metadata.optJSONArray("variables")
        return row.mapIndexed { k, value ->
            val variable = variables?.getJSONObject(k)
            val name = variable?.getString("name") ?: "x$k"
            val classes = variable?.optJSONArray("categories")
            "$name: ${classes?.getString(value.toInt()) ?: value}"
        }
    }

    override fun close() = interpreter.close()

    private fun seeds(count: Int, seed: Int, first: Int) = Array(count) { i -> intArrayOf(seed, first + i) }

    private companion object {
        const val DIGITS = 64
        val MARK = "\"sha256\":\"".toByteArray()
        val START = "{\"format\":".toByteArray()

        fun find(bytes: ByteArray, part: ByteArray): Int =
            (0..bytes.size - part.size).firstOrNull { at -> part.indices.all { bytes[at + it] == part[it] } } ?: -1

        /** Compares the SHA-256 that the file carries with its content, in which these digits are 0. */
        fun isWhole(bytes: ByteArray): Boolean {
            val mark = find(bytes, MARK)
            if (mark < 0 || mark + MARK.size + DIGITS > bytes.size) return false
            val at = mark + MARK.size
            val written = String(bytes, at, DIGITS, Charsets.US_ASCII)
            val copy = bytes.copyOf()
            copy.fill('0'.code.toByte(), at, at + DIGITS)
            val digest = MessageDigest.getInstance("SHA-256").digest(copy)
            return digest.joinToString("") { "%02x".format(it) } == written
        }

        /** The metadata is the one JSON object that begins so; four bytes before it tell its length. */
        fun readMetadata(bytes: ByteArray): JSONObject {
            val start = find(bytes, START)
            check(start >= 4) { "the file has no metadata" }
            val length = ByteBuffer.wrap(bytes, start - 4, 4).order(ByteOrder.LITTLE_ENDIAN).int
            return JSONTokener(String(bytes, start, length, Charsets.UTF_8)).nextValue() as JSONObject
        }
    }
}
