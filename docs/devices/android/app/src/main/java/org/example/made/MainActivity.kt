package org.example.made

import android.app.Activity
import android.os.Bundle
import android.widget.ScrollView
import android.widget.TextView
import kotlin.concurrent.thread

/** Shows four rows of the model with their log-probabilities, and one that was filled in. */
class MainActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val text = TextView(this)
        setContentView(ScrollView(this).apply { addView(text) })
        thread {
            val told = runCatching { tell() }.getOrElse { "Error: ${it.message}" }
            runOnUiThread { text.text = told }
        }
    }

    private fun tell(): String = Made(this).use { made ->
        val rows = made.sample(count = 4, seed = 7)
        val logProb = made.logProb(rows)
        val lines = rows.mapIndexed { i, row -> "${made.describe(row)}\nlog p = ${logProb[i]}" }.toMutableList()
        if ("impute" in made.signatures) {
            val holes = arrayOf(rows[0].copyOf().also { it.fill(Float.NaN, it.size / 2, it.size) })
            lines += "filled in: ${made.describe(made.impute(holes, seed = 1)[0])}"
        }
        lines.joinToString("\n\n")
    }
}
