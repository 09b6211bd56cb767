"""What a `.tflite` file is made of: weights, metadata, bytes."""
